{{- /* A key of a Secret as the environment variable that our programs read. Argument: list of name and key. */ -}}
{{- define "sales-pipeline.testSecret" -}}
{{- $variable := regexReplaceAll "[^A-Z0-9]" (printf "SECRET_%s_%s" (index . 0) (index . 1) | upper) "_" -}}
{ name: {{ $variable }}, valueFrom: { secretKeyRef: { name: {{ index . 0 }}, key: {{ index . 1 }} } } }
{{- end -}}
