{{- /* Labels of the objects of this chart. Argument: list of context and name. */ -}}
{{- define "sales-pipeline.labels" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ $context.Chart.Name }}-{{ $context.Chart.Version }}
{{- end -}}

{{- /* One of our images. Argument: list of context and program. */ -}}
{{- define "sales-pipeline.image" -}}
{{- $context := index . 0 -}}
{{- with $context.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end -}}
salespipeline/{{ index . 1 }}:{{ $context.Values.images.tag | default $context.Chart.AppVersion }}
{{- end -}}

{{- define "sales-pipeline.pullSecrets" -}}
{{- with .Values.images.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* Security context of pods with our images. */ -}}
{{- define "sales-pipeline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "sales-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* Security context of containers whose pods Strimzi creates. */ -}}
{{- define "sales-pipeline.strimziSecurity" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- /* Security context of pods of Elasticsearch and Kibana. ECK sets the one of their containers. */ -}}
{{- define "sales-pipeline.elasticSecurity" -}}
runAsNonRoot: true
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- /* Keeps objects that hold data when the release is uninstalled. */ -}}
{{- define "sales-pipeline.keep" -}}
{{- if .Values.keepData -}}
annotations:
  helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}

{{- /* Host name of PostgreSQL, for helm test. */ -}}
{{- define "sales-pipeline.postgresHost" -}}
{{- eq .Values.postgres.mode "external" | ternary .Values.postgres.host .Values.postgres.name -}}
{{- end -}}

{{- define "sales-pipeline.clients" -}}
{{- with .Values.networkPolicies.clients }}
{{- toYaml . }}
{{- end }}
{{- end -}}

{{- /* Peers of a NetworkPolicy: pods of pipelines in any namespace. Argument: list of components. */ -}}
{{- define "sales-pipeline.members" -}}
- namespaceSelector: {}
  podSelector:
    matchLabels: { app.kubernetes.io/name: sales-pipeline }
    matchExpressions: [{ key: app.kubernetes.io/component, operator: In, values: [{{ join ", " . }}] }]
- namespaceSelector: {}
  podSelector: { matchLabels: { app.kubernetes.io/name: salespipeline-verify } }
{{- end -}}

{{- /* Peers of a Kafka listener. */ -}}
{{- define "sales-pipeline.kafkaPeers" -}}
{{- if .Values.networkPolicies.enabled -}}
networkPolicyPeers:
  {{- include "sales-pipeline.members" (list "processor" "load" "ingest") | nindent 2 }}
  - podSelector: { matchLabels: { app.kubernetes.io/name: kafka-ui } }
  {{- with include "sales-pipeline.clients" . }}{{ . | nindent 2 }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* How pipelines in the namespace of the chart authenticate to Kafka: fields of spec.source. */ -}}
{{- define "sales-pipeline.kafkaLogin" -}}
tls: { caSecretRef: { name: {{ .Values.kafka.name }}-cluster-ca-cert, key: ca.crt } }
sasl:
  mechanism: SCRAM-SHA-512
  usernameSecretRef: { name: {{ .Values.kafka.scram.user }}-name, key: username }
  passwordSecretRef: { name: {{ .Values.kafka.scram.user }}, key: password }
{{- end -}}

{{- /* Port of Kafka that workloads of the chart use. */ -}}
{{- define "sales-pipeline.kafkaPort" -}}
{{- .Values.kafka.scram.enabled | ternary 9093 9092 -}}
{{- end -}}

{{- /* Clients of the stores: workers, the verifier, helm test, and those that the values name. */ -}}
{{- define "sales-pipeline.storeClients" -}}
{{ include "sales-pipeline.members" (list "processor" "removal") }}
- podSelector: { matchLabels: { app.kubernetes.io/name: helm-test } }
{{- with include "sales-pipeline.clients" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* Policies apply to the ports of pods: DNS pods listen on 5353 where ports below 1024 are not allowed. */ -}}
{{- define "sales-pipeline.dns" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }, { port: 5353, protocol: UDP }, { port: 5353, protocol: TCP }]
{{- end -}}
