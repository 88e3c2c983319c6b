{{- /* Where a pod runs, also that of a SalesPipeline. Argument: list of context and values that replace those of `pods`. */ -}}
{{- define "sales-pipeline.scheduling" -}}
{{- $pods := (index . 0).Values.pods -}}
{{- $own := index . 1 -}}
{{- $fields := dict
      "nodeSelector" ($own.nodeSelector | default $pods.nodeSelector)
      "tolerations" ($own.tolerations | default $pods.tolerations)
      "affinity" ($own.affinity | default $pods.affinity)
      "priorityClassName" ($own.priorityClassName | default $pods.priorityClassName) -}}
{{- range $name, $value := $fields }}
{{- if $value }}
{{ dict $name $value | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Labels of a pod: its own, which select it, and those of `pods`. Argument: list of context and its own. */ -}}
{{- define "sales-pipeline.podLabels" -}}
{{- merge (dict) (index . 1) (index . 0).Values.pods.labels | toYaml -}}
{{- end -}}

{{- /* Name of the operator's ServiceAccount. */ -}}
{{- define "sales-pipeline.operatorAccount" -}}
{{- .Values.operator.serviceAccountName | default "salespipeline-operator" -}}
{{- end -}}

{{- /* Variables of the operator that have other values of the chart. */ -}}
{{- define "sales-pipeline.operatorVariables" -}}
PROCESSOR_IMAGE PRODUCER_IMAGE IMAGE_PULL_POLICY IMAGE_PULL_SECRETS ALLOW_SERVICE_ACCOUNTS ALLOW_PULL_SECRETS ALLOW_ENV ALLOW_ENV_SECRETS WATCH_NAMESPACES CONCURRENCY HTTP_HOST HTTP_PORT LOG_LEVEL POD_NAME POD_NAMESPACE SERVICE_ACCOUNT_NAME TOPIC_NAMESPACES
{{- end -}}
