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
# Reconcilers watch them; the HTTP API creates, changes and deletes them for its callers.
- apiGroups: [kagent.dev]
  resources: [agents, modelconfigs, remotemcpservers, mcpservers, modelproviderconfigs]
  verbs: [get, list, watch, create, update, patch, delete]
# Conditions, discovered tools, secret hashes.
- apiGroups: [kagent.dev]
  resources: [agents/status, modelconfigs/status, remotemcpservers/status, mcpservers/status, modelproviderconfigs/status]
  verbs: [get, patch, update]
# Owner references with blockOwnerDeletion, where the API server enforces them.
- apiGroups: [kagent.dev]
  resources:
    - agents/finalizers
    - modelconfigs/finalizers
    - remotemcpservers/finalizers
    - mcpservers/finalizers
    - modelproviderconfigs/finalizers
  verbs: [update]
# Their status says that nothing runs them here.
- apiGroups: [kagent.dev]
  resources: [sandboxagents]
  verbs: [get, list, watch]
- apiGroups: [kagent.dev]
  resources: [sandboxagents/status]
  verbs: [get, patch, update]
# Agents and MCP servers run as Deployments.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, update, patch, delete]
# The applied generations of an Agent.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, update, patch, delete]
# Configuration, addresses and identities of agents; keys and headers that resources refer to.
- apiGroups: [""]
  resources: [services, secrets, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, update, patch, delete]
# Why a Pod does not run.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
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
