#!/usr/bin/env bash
# images.sh DIR: writes archives of our images and of the servers that the tests in test/cluster need.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=$(realpath -m "$1")
npm run --silent images -- --archive "$images"
node test/cluster/images.ts "$images"
