# Makes a database in an empty volume, with the password of POSTGRES_PASSWORD, and becomes Postgres.
set -eu
if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups sh "$0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  printf %s "${POSTGRES_PASSWORD:?}" > /tmp/password
  # Several arguments may stand in POSTGRES_INITDB_ARGS, as with the image for which this stands in.
  # shellcheck disable=SC2086
  initdb -D "$PGDATA" -U postgres -E UTF8 --locale=C.UTF-8 --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*'
