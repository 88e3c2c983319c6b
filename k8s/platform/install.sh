#!/usr/bin/env bash
# Installs the operators that SalesPipeline needs into the current cluster of kubectl, each in its pinned version and with its
# values in values/. You can run it again at any time: it brings existing operators to the same versions and values.
set -euo pipefail

# Versions of the charts. README.md lists the operator in each of them.
readonly MONITORING=88.6.4 STRIMZI=1.2.0 ECK=3.5.0 CNPG=0.29.0

usage() {
  cat <<'USAGE'
Usage: install.sh [--with cnpg] [--without monitoring|strimzi|eck]...

Installs with Helm, in this order, and waits for each:
  monitoring  Prometheus, its operator and Grafana (kube-prometheus-stack)   in namespace monitoring
  strimzi     the operator of Kafka                                          in namespace strimzi-system
  eck         the operator of Elasticsearch and Kibana                       in namespace elastic-system
  cnpg        the operator of PostgreSQL (CloudNativePG); only with --with   in namespace cnpg-system

  --with NAME      also install this one
  --without NAME   do not install this one, for example because the cluster already has it; may be repeated
USAGE
}

main() {
  local selected=' monitoring strimzi eck '
  while (($#)); do
    case "$1 ${2-}" in
      '--help '* | '-h '*) usage && return ;;
      '--with cnpg') selected+='cnpg ' ;;
      '--without monitoring' | '--without strimzi' | '--without eck') selected=${selected/" $2 "/ } ;;
      *) die "unknown option: $1 ${2-}"$'\n'"$(usage)" ;;
    esac
    shift 2
  done

  require helm kubectl
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  charts=$(mktemp -d)
  trap 'rm -rf "$charts"' EXIT
  local context
  context=$(kubectl config current-context) || die 'kubectl has no current context. Choose one: kubectl config use-context NAME'
  echo "Cluster: $context"
  for name in monitoring strimzi eck cnpg; do
    if [[ $selected == *" $name "* ]]; then "$name"; fi
  done
  echo 'Done. README.md in this directory shows how to open Grafana and what to do next.'
}

# First, so that it can monitor the others from the beginning.
monitoring() {
  pull monitoring "$MONITORING" kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts
  apply_crds monitoring kube-prometheus-stack/charts/crds/crds
  install monitoring monitoring kube-prometheus-stack
}

strimzi() {
  pull strimzi "$STRIMZI" oci://quay.io/strimzi-helm/strimzi-kafka-operator
  apply_crds strimzi strimzi-kafka-operator/crds
  install strimzi strimzi-system strimzi-kafka-operator
}

eck() {
  pull eck "$ECK" eck-operator --repo https://helm.elastic.co
  install eck elastic-system eck-operator
}

cnpg() {
  pull cnpg "$CNPG" cloudnative-pg --repo https://cloudnative-pg.github.io/charts
  install cnpg cnpg-system cloudnative-pg
}

# NAME VERSION CHART [--repo URL]
pull() {
  local name=$1 version=$2
  shift 2
  echo "$name: fetching chart $version"
  helm pull "$@" --version "$version" --untar --untardir "$charts" ||
    die "$name: cannot fetch the chart. Check the network with: helm show chart $* --version $version"
}

# NAME DIRECTORY: Helm creates the CRDs of a crds/ directory, but never updates them.
apply_crds() {
  echo "$1: applying CRDs"
  kubectl apply --server-side --force-conflicts --filename "$charts/$2" ||
    die "$1: cannot apply the CRDs. Check your permission with: kubectl auth can-i create customresourcedefinitions"
}

# NAME NAMESPACE CHART
install() {
  echo "$1: installing into namespace $2"
  helm upgrade --install "$1" "$charts/$3" --namespace "$2" --create-namespace \
    --values "$here/values/$1.yaml" --wait --timeout 10m ||
    die "$1: not installed, or not ready within 10 minutes. Show why:
  helm status $1 --namespace $2
  kubectl get pods,events --namespace $2
  kubectl describe pods --namespace $2      # Pending: check the memory that README.md lists"
}

require() {
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is not on the PATH: install it"
  done
}

die() {
  echo "$1" >&2
  exit 1
}

main "$@"
