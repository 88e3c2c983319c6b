{{- /* Names of the Secrets with passwords. */ -}}
{{- define "sales-pipeline.postgresSecret" -}}
{{- .Values.postgres.existingSecret | default .Values.postgres.name -}}
{{- end -}}

{{- define "sales-pipeline.readerSecret" -}}
{{- .Values.postgres.readerExistingSecret | default (printf "%s-reader" .Values.postgres.name) -}}
{{- end -}}

{{- define "sales-pipeline.superuserSecret" -}}
{{- .Values.postgres.superuserExistingSecret | default (printf "%s-superuser" .Values.postgres.name) -}}
{{- end -}}

{{- define "sales-pipeline.elasticsearchSecret" -}}
{{- .Values.elasticsearch.existingSecret | default .Values.elasticsearch.name -}}
{{- end -}}

{{- /*
The password, in base64, of a Secret that a release up to 0.3.0 created; otherwise nothing. Helm would delete such a Secret if
it were no longer in the chart. Argument: list of context and name of the Secret.
*/ -}}
{{- define "sales-pipeline.formerPassword" -}}
{{- $release := (index . 0).Release -}}
{{- $secret := lookup "v1" "Secret" $release.Namespace (index . 1) | default dict -}}
{{- $annotations := dig "metadata" "annotations" dict $secret | default dict -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if eq $owner (printf "%s/%s" $release.Namespace $release.Name) -}}
{{- dig "data" "password" "" $secret -}}
{{- end -}}
{{- end -}}

{{- /* The file of Grafana's data source. Argument: list of context and password, as a YAML scalar. */ -}}
{{- define "sales-pipeline.datasource" -}}
{{- $context := index . 0 -}}
{{- $postgres := $context.Values.postgres -}}
apiVersion: 1
datasources:
  - name: SalesPipeline PostgreSQL
    uid: salespipeline-postgres
    type: grafana-postgresql-datasource
    url: {{ $postgres.name }}.{{ $context.Release.Namespace }}.svc:5432
    user: reader
    secureJsonData: { password: {{ index . 1 }} }
    jsonData: { database: {{ $postgres.database }}, sslmode: disable, postgresVersion: 1500, maxOpenConns: 5 }
{{- end -}}

{{- /*
A name with a hash of everything in the Job, because a Job cannot be changed. Argument: list of prefix, the Job's spec, and
what else it depends on.
*/ -}}
{{- define "sales-pipeline.jobName" -}}
{{ index . 0 }}-{{ print (index . 1) (index . 2) | sha256sum | trunc 8 }}
{{- end -}}

{{- /* Annotations of objects that exist before all others. Argument: list of weight and delete policy. */ -}}
{{- define "sales-pipeline.beforeAll" -}}
helm.sh/hook: pre-install,pre-upgrade,pre-rollback
helm.sh/hook-weight: {{ index . 0 | quote }}
helm.sh/hook-delete-policy: {{ index . 1 }}
{{- end -}}

{{- /* Spec of the Job that creates passwords. Argument: list of context, name, Secrets and data source. */ -}}
{{- define "sales-pipeline.passwordsJob" -}}
{{- $context := index . 0 -}}
backoffLimit: 5
template:
  metadata:
    labels:
      {{- include "sales-pipeline.podLabels" (list $context (dict "app.kubernetes.io/name" (index . 1))) | nindent 6 }}
    {{- with $context.Values.pods.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ index . 1 }}
    {{- with include "sales-pipeline.scheduling" (list $context (dict)) }}{{ trim . | nindent 4 }}{{- end }}
    {{- with include "sales-pipeline.pullSecrets" $context }}{{ . | nindent 4 }}{{- end }}
    securityContext:
      {{- include "sales-pipeline.podSecurity" $context | nindent 6 }}
    containers:
      - name: passwords
        # Only used for its Node runtime.
        image: {{ include "sales-pipeline.image" (list $context "producer") }}
        imagePullPolicy: {{ $context.Values.images.pullPolicy }}
        command: [/usr/bin/node, --input-type=module, --eval]
        args:
          - |
            {{- $context.Files.Get "files/passwords/create.mjs" | nindent 12 }}
        env:
          - { name: API_SERVER, value: https://kubernetes.default.svc }
          - { name: SERVICE_ACCOUNT, value: /var/run/secrets/kubernetes.io/serviceaccount }
          - { name: NODE_EXTRA_CA_CERTS, value: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt }
          - { name: SECRETS, value: {{ index . 2 | toJson | quote }} }
          {{- with index . 3 }}
          - { name: DATASOURCE, value: {{ toJson . | quote }} }
          {{- end }}
        resources: { requests: { cpu: 10m, memory: 64Mi }, limits: { memory: 128Mi } }
        securityContext:
          {{- include "sales-pipeline.containerSecurity" $context | nindent 10 }}
{{- end -}}
