{{- /* Permissions of the operator on pipelines and their objects: in all namespaces, or in each of operator.watchNamespaces. */ -}}
{{- define "sales-pipeline.operatorRules" -}}
- apiGroups: [salespipeline.dev]
  resources: [salespipelines]
  verbs: [get, list, watch, patch]
- apiGroups: [salespipeline.dev]
  resources: [salespipelines/status]
  verbs: [patch]
# Needed to set a pipeline as the owner of the objects created for it.
- apiGroups: [salespipeline.dev]
  resources: [salespipelines/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Data of a pipeline is deleted only after everything that could start another worker is deleted.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
# A Job deletes the rows and documents of a deleted pipeline if its deletionPolicy is delete.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kafka.strimzi.io]
  resources: [kafkatopics]
  verbs: [get, list, watch, create, patch, delete]
# Whether another namespace allows topics, and whether a pipeline's own namespace is being deleted.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.operator.allow.envSecrets }}
# Only metadata is requested: which Secrets have the label. But whoever has the operator's token can read their values.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- end -}}

{{- define "sales-pipeline.operatorSubject" -}}
- { kind: ServiceAccount, name: {{ include "sales-pipeline.operatorAccount" . }}, namespace: {{ .Release.Namespace }} }
{{- end -}}
