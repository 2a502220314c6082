#!/bin/sh
# Gives the role of bingo the password that the agent fetched; the server keeps a verifier of it alone.
set -eu
exec psql --no-psqlrc --quiet --dbname=postgres --set=ON_ERROR_STOP=1 <<'SQL'
SET log_min_error_statement = panic;
\set password `cat /etc/samovar/postgres/password`
ALTER ROLE bingo LOGIN PASSWORD :'password';
SQL
