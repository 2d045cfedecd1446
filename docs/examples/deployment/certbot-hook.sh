#!/bin/sh
# /etc/letsencrypt/renewal-hooks/deploy/h11web: certbot runs it after each renewal.
# The server's user may not read certbot's own folder, so it gets copies.
set -eu
name=$(basename "$RENEWED_LINEAGE")
folder=/etc/h11web/certificates/$name
install -d -m 750 -g shop "$folder"
for file in fullchain.pem privkey.pem; do
    install -m 640 -g shop "$RENEWED_LINEAGE/$file" "$folder/.$file.new"
    mv "$folder/.$file.new" "$folder/$file"
done
kill -HUP "$(cat /run/h11web/h11web.pid)"
