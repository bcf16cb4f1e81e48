{{- define "fusionkeep.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "fusionkeep.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fusionkeep.labels" -}}
{{ include "fusionkeep.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "fusionkeep.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "fusionkeep.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* What the operator needs of its own kinds. */}}
{{- define "fusionkeep.ownKinds" -}}
- apiGroups: [fusionkeep.dev]
  resources: [entitytypes, lambdas, users, entities, entitygrants, identityproviderlinks, fusionauthinstances]
  # Finalizers, and annotations that have done their work.
  verbs: [list, watch, patch]
- apiGroups: [fusionkeep.dev]
  resources:
    - entitytypes/status
    - lambdas/status
    - users/status
    - entities/status
    - entitygrants/status
    - identityproviderlinks/status
    - fusionauthinstances/status
  verbs: [patch]
- apiGroups: [fusionkeep.dev]
  resources: [planapprovals]
  verbs: [list, watch]
{{- end }}

{{/* What the operator needs besides in each namespace it serves. */}}
{{- define "fusionkeep.namespacedRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: {{ if .Values.secrets.watch }}[get, list, watch]{{ else }}[get]{{ end }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
