#!/usr/bin/env bash
# first-images.sh DIR: archives of the images of the first chart, which test/cluster/upgrade.test.ts upgrades from.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=$(realpath -m "$1")
# The commit that the first chart was packaged from.
first=b5e55bfca85e4288ea4ae24db236494084c46770
if git cat-file -e "$first^{commit}" 2>/dev/null; then
  rm -rf .local/0.2.0 && mkdir -p .local/0.2.0
  git archive "$first" | tar -x -C .local/0.2.0
  cp -al node_modules .local/0.2.0/ # no symbolic link: the bundler would see through it
  (cd .local/0.2.0 && node images/main.ts --archive "$images")
  rm -rf .local/0.2.0
else
  echo "This clone lacks commit $first: the upgrade test uses images of today's programs as those of 0.2.0."
  npm run --silent images -- --archive "$images" --tag 0.2.0
fi
