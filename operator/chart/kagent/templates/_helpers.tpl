{{- define "kagent.labels" -}}
app.kubernetes.io/name: kagent
app.kubernetes.io/component: controller
app.kubernetes.io/managed-by: kagent-operator
{{- end }}

{{- define "kagent.selector" -}}
app.kubernetes.io/name: kagent
app.kubernetes.io/component: controller
{{- end }}

{{- define "kagent.leaseRule" -}}
# One of several replicas leads.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}

{{- define "kagent.rules" -}}
- apiGroups: [kagent.dev]
  resources: [agents, modelconfigs, remotemcpservers, mcpservers, modelproviderconfigs, sandboxagents]
  verbs: [list, watch]
# The HTTP API makes, changes and deletes them for its callers.
- apiGroups: [kagent.dev]
  resources: [agents, modelconfigs, remotemcpservers, mcpservers]
  verbs: [create, patch, delete]
# Conditions, discovered tools, secret hashes.
- apiGroups: [kagent.dev]
  resources:
    - agents/status
    - modelconfigs/status
    - remotemcpservers/status
    - mcpservers/status
    - modelproviderconfigs/status
    - sandboxagents/status
  verbs: [patch]
# Owner references with blockOwnerDeletion, where the API server asks for this right (OpenShift does).
- apiGroups: [kagent.dev]
  resources: [agents/finalizers]
  verbs: [update]
# Agents and MCP servers run as Deployments.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, update, delete]
# The applied generations of an Agent.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, create, delete]
# Configuration, addresses and identities of agents; keys and headers that resources refer to.
- apiGroups: [""]
  resources: [services, secrets, configmaps, serviceaccounts]
  verbs: [list, watch, create, update, delete]
# Prompt libraries, and keys given with a model, which the HTTP API changes for its callers.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [patch]
# Why a Pod does not run.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{ include "kagent.leaseRule" . }}
{{- end }}

{{- define "kagent.subjects" -}}
- kind: ServiceAccount
  name: kagent-controller
  namespace: {{ .Release.Namespace }}
{{- end }}
