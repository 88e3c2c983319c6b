{{- /* Labels of what this chart makes. Argument: list of context and name. */ -}}
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

{{- /* Of pods whose image is ours. */ -}}
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

{{- /* What holds data outlives the release. */ -}}
{{- define "sales-pipeline.keep" -}}
{{- if .Values.keepData -}}
annotations:
  helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}

{{- /*
A password in base64 that stays the same from release to release, since volumes outlive a release and hold it; and from
template to template while there is none yet. Argument: list of context and Secret.
*/ -}}
{{- define "sales-pipeline.password" -}}
{{- $context := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $made := get $context.Values "made" | default dict -}}
{{- if not (hasKey $made $secret) -}}
{{- $there := lookup "v1" "Secret" $context.Release.Namespace $secret -}}
{{- $password := get (get ($there | default dict) "data" | default dict) "password" | default (randAlphaNum 32 | b64enc) -}}
{{- $_ := set $context.Values "made" (set $made $secret $password) -}}
{{- end -}}
{{- get $context.Values.made $secret -}}
{{- end -}}

{{- /* Where PostgreSQL is, for helm test and Grafana. */ -}}
{{- define "sales-pipeline.postgresHost" -}}
{{- eq .Values.postgres.mode "external" | ternary .Values.postgres.host .Values.postgres.name -}}
{{- end -}}

{{- define "sales-pipeline.clients" -}}
{{- with .Values.networkPolicies.clients }}
{{- toYaml . }}
{{- end }}
{{- end -}}

{{- /* Pods of pipelines, wherever they are. Argument: list of components. */ -}}
{{- define "sales-pipeline.members" -}}
- namespaceSelector: {}
  podSelector:
    matchLabels: { app.kubernetes.io/name: sales-pipeline }
    matchExpressions: [{ key: app.kubernetes.io/component, operator: In, values: [{{ join ", " . }}] }]
- namespaceSelector: {}
  podSelector: { matchLabels: { app.kubernetes.io/name: salespipeline-verify } }
{{- end -}}

{{- /* Who may talk to the stores: workers and what checks them, and whom the values name. */ -}}
{{- define "sales-pipeline.storeClients" -}}
{{ include "sales-pipeline.members" (list "processor" "removal") }}
- podSelector: { matchLabels: { app.kubernetes.io/name: helm-test } }
{{- with include "sales-pipeline.clients" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* Policies see pods' own ports: those behind DNS listen on 5353 where they may not have one below 1024. */ -}}
{{- define "sales-pipeline.dns" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }, { port: 5353, protocol: UDP }, { port: 5353, protocol: TCP }]
{{- end -}}
