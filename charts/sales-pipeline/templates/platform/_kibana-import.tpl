{{- /* Spec of the Job that imports the dashboards. It has no TTL: Argo CD would create a Job that disappears again. */ -}}
{{- define "sales-pipeline.kibanaImport" -}}
{{- $kibana := .Values.kibana -}}
backoffLimit: 20
template:
  metadata:
    labels:
      {{- include "sales-pipeline.podLabels" (list . (dict "app.kubernetes.io/name" "kibana-import")) | nindent 6 }}
    {{- with .Values.pods.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: OnFailure
    automountServiceAccountToken: false
    {{- with include "sales-pipeline.scheduling" (list . (dict)) }}{{ trim . | nindent 4 }}{{- end }}
    {{- with include "sales-pipeline.pullSecrets" . }}{{ . | nindent 4 }}{{- end }}
    securityContext:
      {{- include "sales-pipeline.podSecurity" . | nindent 6 }}
    containers:
      - name: import
        # Only used for its Node runtime.
        image: {{ include "sales-pipeline.image" (list . "producer") }}
        imagePullPolicy: {{ .Values.images.pullPolicy }}
        command: [/usr/bin/node, /objects/import.mjs]
        env:
          - { name: KIBANA_URL, value: "https://{{ $kibana.name }}-kb-http:5601" }
          - { name: KIBANA_USER, value: elastic }
          - { name: KIBANA_PASSWORD, valueFrom: { secretKeyRef: { name: {{ .Values.elasticsearch.name }}-es-elastic-user, key: elastic } } }
          - { name: NODE_EXTRA_CA_CERTS, value: /certificates/ca.crt }
        resources: { requests: { cpu: 10m, memory: 64Mi }, limits: { memory: 128Mi } }
        securityContext:
          {{- include "sales-pipeline.containerSecurity" . | nindent 10 }}
        volumeMounts:
          - { name: objects, mountPath: /objects, readOnly: true }
          - { name: certificates, mountPath: /certificates, readOnly: true }
    volumes:
      - { name: objects, configMap: { name: {{ $kibana.name }}-objects } }
      - { name: certificates, secret: { secretName: {{ $kibana.name }}-kb-http-certs-public } }
{{- end -}}
