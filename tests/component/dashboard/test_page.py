"""The page in a real browser, over an environment of simulated machines: it shows what is, and what happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.checkout import ENVIRONMENTS
from tests.support.checkout import environment as load_environment
from tests.support.firefox import Firefox, firefox
from tests.support.images import publish_empty
from tests.support.tool import TIMEOUT, Cli
from tests.support.wait import wait_until

TAB = "\ue004"
PHONE = 390


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("dashboard")
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", (ENVIRONMENTS / "dev/config.yaml").read_text())
    try:
        tool.run("cloud", "up", "--machines", "simulated")
        publish_empty(tool.session(), load_environment("dev", tool.envs))
        tool.run("rollout", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)


@pytest.fixture(scope="module")
def url(cli: Cli) -> Iterator[str]:
    command = cli.command("dashboard", "dev")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as page:
        assert page.stdout
        yield page.stdout.readline().strip()
        page.kill()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as browser:
        yield browser


@pytest.fixture
def page(browser: Firefox, url: str) -> Firefox:
    browser.resize(1440, 900)
    browser.visit(url)
    shown(browser, "document.querySelectorAll('.machine').length === 5 && document.querySelector('canvas')")
    return browser


def shown(browser: Firefox, expression: str) -> object:
    """The value of an expression in the page, once it is true."""
    return wait_until(expression, lambda: browser.run(f"return {expression}"), timeout=TIMEOUT)


def text_of(part: str) -> str:
    """Return the expression for the text of a part of the page."""
    return f"document.querySelector('#{part}').textContent"


def test_the_page_shows_a_killed_machine_and_its_replacement(cli: Cli, page: Firefox) -> None:
    shown(page, "document.querySelector('#summary .pill.ok') !== null")
    cli.run("cloud", "kill", "dev-bingo-2")
    shown(page, "document.querySelector('#m-dev-bingo-2').classList.contains('ok') === false")
    shown(page, "document.querySelector('#summary .pill.ok') !== null")
    events = str(page.run("return document.querySelector('#events').textContent"))
    assert "dev-bingo-2: recreate: " in events
    assert "bingo: is not healthy -> healthy" in events


def test_the_keyboard_reaches_each_machine_which_has_a_label(page: Firefox) -> None:
    labels = set()
    for _ in range(20):
        page.press(TAB)
        labels.add(page.run("return document.activeElement.getAttribute('aria-label')"))
    assert sum("RUNNING_ACTUAL" in str(each) for each in labels) == 5


def test_on_a_phone_the_page_is_one_column_without_overflow(page: Firefox) -> None:
    page.resize(PHONE, 844)
    shown(page, "document.querySelector('#picture svg').viewBox.baseVal.width < 400")
    assert page.run("return innerWidth") == PHONE
    assert int(page.run("return document.documentElement.scrollWidth")) <= PHONE
    assert float(page.run("return document.querySelector('#picture svg').getBoundingClientRect().width")) > PHONE * 0.8


def test_the_page_keeps_its_security_policy_and_loads_nothing_from_elsewhere(page: Firefox, url: str) -> None:
    asked = page.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert isinstance(asked, list)
    assert [name for name in asked if not str(name).startswith((url, "data:"))] == []


def test_the_page_shows_that_the_cloud_hangs_and_since_when(cli: Cli, page: Firefox) -> None:
    daemon = cli.endpoint()["pid"]
    os.kill(daemon, signal.SIGSTOP)
    try:
        shown(page, f"/no answer within 6 s; what is shown is [1-9][0-9]* s old/.test({text_of('summary')})")
        shown(page, f"{text_of('events')}.includes('the cloud: does not answer: no answer within 6 s')")
    finally:
        os.kill(daemon, signal.SIGCONT)
    shown(page, "document.querySelector('#summary .pill.ok') !== null")
    shown(page, f"{text_of('events')}.includes('the cloud: answers again')")


@contextmanager
def another_dashboard(cli: Cli, page: Firefox) -> Iterator[subprocess.Popen[str]]:
    """Yield a tool whose page is shown, and kill it at the end."""
    command = cli.command("dashboard", "dev")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        try:
            assert other.stdout
            page.visit(other.stdout.readline().strip())
            shown(page, "document.querySelectorAll('.machine').length === 5")
            yield other
        finally:
            other.kill()


def test_the_page_shows_that_the_tool_hangs(cli: Cli, page: Firefox) -> None:
    with another_dashboard(cli, page) as other:
        shown(page, "document.querySelector('#silent').hidden")
        other.send_signal(signal.SIGSTOP)
        shown(page, "document.querySelector('#silent').hidden === false")
        shown(page, f"{text_of('silent')}.includes('no word of the tool')")
        other.send_signal(signal.SIGCONT)
        shown(page, "document.querySelector('#silent').hidden")


def test_the_page_shows_that_the_tool_has_ended(cli: Cli, page: Firefox) -> None:
    with another_dashboard(cli, page):
        pass
    shown(page, "document.querySelector('#summary').textContent.includes('does not answer')")
