#!/bin/sh
# Make the passwords of docker-compose.yml, in the folder secrets/: `make secrets`. What is there stays as it is.
set -eu

folder=${1:-secrets}

word() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# keep NAME VALUE: one line in a file of that name, unless there is one.
keep() {
    [ -e "$folder/$1" ] || printf '%s\n' "$2" > "$folder/$1"
}

# The folder keeps others on this machine out. The files are mounted one by one, and are read in the containers by
# users whom this machine does not know.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

keep postgres_password "$(word)"
keep redis_password "$(word)"
keep grafana_password "$(word)"
keep flower_login "fumikura:$(word)"
keep database_url "postgresql://fumikura:$(cat "$folder/postgres_password")@postgres:5432/fumikura"
keep broker_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"

echo "$folder: Grafana's user is admin, with the password in grafana_password; Flower's login is in flower_login"
