#!/usr/bin/env bash
# images.sh DIR: archives of every image that the tests in test/cluster need; those of the first chart in DIR/first.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=$(realpath -m "$1")
npm run --silent images -- --archive "$images"
node test/cluster/images.ts "$images"
# The first chart's images, from the commit that it was packaged from (test/cluster/upgrade.test.ts).
first=b5e55bfca85e4288ea4ae24db236494084c46770
if git cat-file -e "$first^{commit}" 2>/dev/null; then
  rm -rf .local/0.2.0 && mkdir -p .local/0.2.0
  git archive "$first" | tar -x -C .local/0.2.0
  cp -al node_modules .local/0.2.0/ # no symbolic link: the bundler would see through it
  (cd .local/0.2.0 && node images/main.ts --archive "$images/first")
  rm -rf .local/0.2.0
else
  echo "This clone lacks commit $first: today's programs stand for those of 0.2.0 in the test of upgrades."
  npm run --silent images -- --archive "$images/first" --tag 0.2.0
fi
