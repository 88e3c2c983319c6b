#!/usr/bin/env bash
# first-images.sh DIR: writes archives of the images of the first chart, which test/cluster/upgrade.test.ts upgrades from.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=$(realpath -m "$1")
# The commit that the first chart was packaged from.
first=b5e55bfca85e4288ea4ae24db236494084c46770
if git cat-file -e "$first^{commit}" 2>/dev/null; then
  rm -rf .local/0.2.0 && mkdir -p .local/0.2.0
  git archive "$first" | tar -x -C .local/0.2.0
  cp -al node_modules .local/0.2.0/ # no symbolic link: the bundler would resolve it
  (cd .local/0.2.0 && node images/main.ts --archive "$images")
  rm -rf .local/0.2.0
else
  echo "Commit $first is missing in this clone: the upgrade test uses images of the current programs as those of 0.2.0."
  npm run --silent images -- --archive "$images" --tag 0.2.0
fi
