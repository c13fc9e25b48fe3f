#!/bin/sh
# Name the base images of Dockerfile and docker-compose.yml by the digests that their tags have today: `make digests`.
# For a newer version change the tag first. Needs Docker and a network; look at the change before you keep it.
set -eu

pinned='[a-z/]*:[A-Za-z0-9._-]*@sha256:[0-9a-f]\{64\}'
for image in $(grep -oh "$pinned" Dockerfile docker-compose.yml | sort -u); do
    tag=${image%@*}
    digest=$(docker buildx imagetools inspect "$tag" --format '{{.Manifest.Digest}}')
    for file in Dockerfile docker-compose.yml; do
        # Through a copy, as sed -i is another option on every system.
        sed "s|$tag@sha256:[0-9a-f]*|$tag@$digest|" "$file" > "$file.new"
        cat "$file.new" > "$file"
        rm "$file.new"
    done
    echo "$tag@$digest"
done
