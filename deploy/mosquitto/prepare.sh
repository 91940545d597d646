#!/bin/sh
# Make what the MQTT broker needs before its first start: prepare.sh FOLDER HOST
# An authority (give ca.crt to the devices), a server certificate for HOST, and a password file without accounts.
set -eu
folder=$1
host=$2
mkdir -p "$folder"
cd "$folder"

if [ ! -f server.crt ]; then
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj "/CN=Convoy MQTT authority" -keyout ca.key -out ca.crt
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "/CN=$host" -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:%s,DNS:mosquitto,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$host" > extensions
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 \
        -extfile extensions -out server.crt
    rm -f server.csr extensions
fi
[ -f passwords ] || : > passwords

# The broker's image runs it as user and group 1883.
if [ "$(id -u)" = 0 ]; then
    chown 1883:1883 . server.crt server.key passwords
fi
chmod 755 .
chmod 644 ca.crt server.crt
chmod 600 server.key passwords
