"""Load profiles for tests that need none of the project's files."""

from __future__ import annotations

from samovar.project.load_profile import LoadProfile


def page_profile(name: str, rate: float, path: str = "/", timeout: float = 5.0) -> LoadProfile:
    """Return a profile that requests one page; nine in ten answers must come in 0.4 s."""
    request = f"GET {path}"
    endpoint = {"request": request, "timeout": timeout, "max_age": None, "slo": {"quantile": 0.9, "seconds": 0.4}}
    flows = [{"share": 1, "steps": [request]}]
    return LoadProfile.model_validate({"name": name, "rate": rate, "endpoints": [endpoint], "flows": flows})
