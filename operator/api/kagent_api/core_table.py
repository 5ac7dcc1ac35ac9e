"""Fields of the core/v1 and meta/v1 objects that kagent's resources contain (Kubernetes 1.36).

One line a type: `name` is a string, `name:code` has another type (int32, int64, bool, quantity, intstr, a type of
this table), `[]` makes a list, `{}` a map, `|a,b` names the keys of a list that is a map, `!` marks a required field,
`=` a default. `@atomic` types are replaced as a whole by server-side apply. Written by
tests/api/generate_core_table.py from Kubernetes' OpenAPI document; only `core_schema` reads it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CORE_TYPES"]

CORE_TYPES: Final[dict[str, str]] = {
    "AWSElasticBlockStoreVolumeSource": "fsType partition:int32 readOnly:bool volumeID!",
    "Affinity": "nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity",
    "AppArmorProfile": "localhostProfile type!",
    "AzureDiskVolumeSource": (
        'cachingMode="ReadWrite" diskName! diskURI! fsType="ext4" kind="Shared" readOnly:bool=false'
    ),
    "AzureFileVolumeSource": "readOnly:bool secretName! shareName!",
    "CSIVolumeSource": "driver! fsType nodePublishSecretRef:LocalObjectReference readOnly:bool volumeAttributes:{}",
    "Capabilities": "add:[] drop:[]",
    "CephFSVolumeSource": "monitors!:[] path readOnly:bool secretFile secretRef:LocalObjectReference user",
    "CinderVolumeSource": "fsType readOnly:bool secretRef:LocalObjectReference volumeID!",
    "ClusterTrustBundleProjection": "labelSelector:LabelSelector name optional:bool path! signerName",
    "ConfigMapEnvSource": 'name="" optional:bool',
    "ConfigMapKeySelector": '@atomic key! name="" optional:bool',
    "ConfigMapProjection": 'items:KeyToPath[] name="" optional:bool',
    "ConfigMapVolumeSource": 'defaultMode:int32 items:KeyToPath[] name="" optional:bool',
    "Container": (
        "args:[] command:[] env:EnvVar[]|name envFrom:EnvFromSource[] image imagePullPolicy "
        "lifecycle:Lifecycle livenessProbe:Probe name! ports:ContainerPort[]|containerPort,protocol "
        "readinessProbe:Probe resizePolicy:ContainerResizePolicy[] resources:ResourceRequirements "
        "restartPolicy restartPolicyRules:ContainerRestartRule[] securityContext:SecurityContext "
        "startupProbe:Probe stdin:bool stdinOnce:bool terminationMessagePath terminationMessagePolicy "
        "tty:bool volumeDevices:VolumeDevice[]|devicePath volumeMounts:VolumeMount[]|mountPath workingDir"
    ),
    "ContainerPort": 'containerPort!:int32 hostIP hostPort:int32 name protocol="TCP"',
    "ContainerResizePolicy": "resourceName! restartPolicy!",
    "ContainerRestartRule": "action! exitCodes:ContainerRestartRuleOnExitCodes",
    "ContainerRestartRuleOnExitCodes": "operator! values:int32[]|set",
    "DownwardAPIProjection": "items:DownwardAPIVolumeFile[]",
    "DownwardAPIVolumeFile": "fieldRef:ObjectFieldSelector mode:int32 path! resourceFieldRef:ResourceFieldSelector",
    "DownwardAPIVolumeSource": "defaultMode:int32 items:DownwardAPIVolumeFile[]",
    "EmptyDirVolumeSource": "medium sizeLimit:quantity",
    "EnvFromSource": "configMapRef:ConfigMapEnvSource prefix secretRef:SecretEnvSource",
    "EnvVar": "name! value valueFrom:EnvVarSource",
    "EnvVarSource": (
        "configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector fileKeyRef:FileKeySelector "
        "resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector"
    ),
    "EphemeralVolumeSource": "volumeClaimTemplate:PersistentVolumeClaimTemplate",
    "ExecAction": "command:[]",
    "FCVolumeSource": "fsType lun:int32 readOnly:bool targetWWNs:[] wwids:[]",
    "FileKeySelector": "@atomic key! optional:bool=false path! volumeName!",
    "FlexVolumeSource": "driver! fsType options:{} readOnly:bool secretRef:LocalObjectReference",
    "FlockerVolumeSource": "datasetName datasetUUID",
    "GCEPersistentDiskVolumeSource": "fsType partition:int32 pdName! readOnly:bool",
    "GRPCAction": 'port!:int32 service=""',
    "GitRepoVolumeSource": "directory repository! revision",
    "GlusterfsVolumeSource": "endpoints! path! readOnly:bool",
    "HTTPGetAction": "host httpHeaders:HTTPHeader[] path port!:intstr scheme",
    "HTTPHeader": "name! value!",
    "HostPathVolumeSource": "path! type",
    "ISCSIVolumeSource": (
        'chapAuthDiscovery:bool chapAuthSession:bool fsType initiatorName iqn! iscsiInterface="default" '
        "lun!:int32 portals:[] readOnly:bool secretRef:LocalObjectReference targetPortal!"
    ),
    "ImageVolumeSource": "pullPolicy reference",
    "KeyToPath": "key! mode:int32 path!",
    "LabelSelector": "@atomic matchExpressions:LabelSelectorRequirement[] matchLabels:{}",
    "LabelSelectorRequirement": "key! operator! values:[]",
    "Lifecycle": "postStart:LifecycleHandler preStop:LifecycleHandler stopSignal",
    "LifecycleHandler": "exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction",
    "LocalObjectReference": '@atomic name=""',
    "NFSVolumeSource": "path! readOnly:bool server!",
    "NodeAffinity": (
        "preferredDuringSchedulingIgnoredDuringExecution:PreferredSchedulingTerm[] "
        "requiredDuringSchedulingIgnoredDuringExecution:NodeSelector"
    ),
    "NodeSelector": "@atomic nodeSelectorTerms!:NodeSelectorTerm[]",
    "NodeSelectorRequirement": "key! operator! values:[]",
    "NodeSelectorTerm": "@atomic matchExpressions:NodeSelectorRequirement[] matchFields:NodeSelectorRequirement[]",
    "ObjectFieldSelector": "@atomic apiVersion fieldPath!",
    "ObjectMeta": "annotations:{} finalizers:[] labels:{} name namespace",
    "PersistentVolumeClaimSpec": (
        "accessModes:[] dataSource:TypedLocalObjectReference dataSourceRef:TypedObjectReference "
        "resources:VolumeResourceRequirements selector:LabelSelector storageClassName "
        "volumeAttributesClassName volumeMode volumeName"
    ),
    "PersistentVolumeClaimTemplate": "metadata:ObjectMeta spec!:PersistentVolumeClaimSpec",
    "PersistentVolumeClaimVolumeSource": "claimName! readOnly:bool",
    "PhotonPersistentDiskVolumeSource": "fsType pdID!",
    "PodAffinity": (
        "preferredDuringSchedulingIgnoredDuringExecution:WeightedPodAffinityTerm[] "
        "requiredDuringSchedulingIgnoredDuringExecution:PodAffinityTerm[]"
    ),
    "PodAffinityTerm": (
        "labelSelector:LabelSelector matchLabelKeys:[] mismatchLabelKeys:[] "
        "namespaceSelector:LabelSelector namespaces:[] topologyKey!"
    ),
    "PodAntiAffinity": (
        "preferredDuringSchedulingIgnoredDuringExecution:WeightedPodAffinityTerm[] "
        "requiredDuringSchedulingIgnoredDuringExecution:PodAffinityTerm[]"
    ),
    "PodCertificateProjection": (
        "certificateChainPath credentialBundlePath keyPath keyType! maxExpirationSeconds:int32 "
        "signerName! userAnnotations:{}"
    ),
    "PodSecurityContext": (
        "appArmorProfile:AppArmorProfile fsGroup:int64 fsGroupChangePolicy runAsGroup:int64 "
        "runAsNonRoot:bool runAsUser:int64 seLinuxChangePolicy seLinuxOptions:SELinuxOptions "
        "seccompProfile:SeccompProfile supplementalGroups:int64[] supplementalGroupsPolicy "
        "sysctls:Sysctl[] windowsOptions:WindowsSecurityContextOptions"
    ),
    "PortworxVolumeSource": "fsType readOnly:bool volumeID!",
    "PreferredSchedulingTerm": "preference!:NodeSelectorTerm weight!:int32",
    "Probe": (
        "exec:ExecAction failureThreshold:int32 grpc:GRPCAction httpGet:HTTPGetAction "
        "initialDelaySeconds:int32 periodSeconds:int32 successThreshold:int32 tcpSocket:TCPSocketAction "
        "terminationGracePeriodSeconds:int64 timeoutSeconds:int32"
    ),
    "ProjectedVolumeSource": "defaultMode:int32 sources:VolumeProjection[]",
    "QuobyteVolumeSource": "group readOnly:bool registry! tenant user volume!",
    "RBDVolumeSource": (
        'fsType image! keyring="/etc/ceph/keyring" monitors!:[] pool="rbd" readOnly:bool '
        'secretRef:LocalObjectReference user="admin"'
    ),
    "ResourceClaim": "name! request",
    "ResourceFieldSelector": "@atomic containerName divisor:quantity resource!",
    "ResourceRequirements": "claims:ResourceClaim[]|name limits:quantity{} requests:quantity{}",
    "SELinuxOptions": "level role type user",
    "ScaleIOVolumeSource": (
        'fsType="xfs" gateway! protectionDomain readOnly:bool secretRef!:LocalObjectReference '
        'sslEnabled:bool storageMode="ThinProvisioned" storagePool system! volumeName'
    ),
    "SeccompProfile": "localhostProfile type!",
    "SecretEnvSource": 'name="" optional:bool',
    "SecretKeySelector": '@atomic key! name="" optional:bool',
    "SecretProjection": 'items:KeyToPath[] name="" optional:bool',
    "SecretVolumeSource": "defaultMode:int32 items:KeyToPath[] optional:bool secretName",
    "SecurityContext": (
        "allowPrivilegeEscalation:bool appArmorProfile:AppArmorProfile capabilities:Capabilities "
        "privileged:bool procMount readOnlyRootFilesystem:bool runAsGroup:int64 runAsNonRoot:bool "
        "runAsUser:int64 seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile "
        "windowsOptions:WindowsSecurityContextOptions"
    ),
    "ServiceAccountTokenProjection": "audience expirationSeconds:int64 path!",
    "SleepAction": "seconds!:int64",
    "StorageOSVolumeSource": "fsType readOnly:bool secretRef:LocalObjectReference volumeName volumeNamespace",
    "Sysctl": "name! value!",
    "TCPSocketAction": "host port!:intstr",
    "Toleration": "effect key operator tolerationSeconds:int64 value",
    "TypedLocalObjectReference": "@atomic apiGroup kind! name!",
    "TypedObjectReference": "apiGroup kind! name! namespace",
    "Volume": (
        "awsElasticBlockStore:AWSElasticBlockStoreVolumeSource azureDisk:AzureDiskVolumeSource "
        "azureFile:AzureFileVolumeSource cephfs:CephFSVolumeSource cinder:CinderVolumeSource "
        "configMap:ConfigMapVolumeSource csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource "
        "emptyDir:EmptyDirVolumeSource ephemeral:EphemeralVolumeSource fc:FCVolumeSource "
        "flexVolume:FlexVolumeSource flocker:FlockerVolumeSource "
        "gcePersistentDisk:GCEPersistentDiskVolumeSource gitRepo:GitRepoVolumeSource "
        "glusterfs:GlusterfsVolumeSource hostPath:HostPathVolumeSource image:ImageVolumeSource "
        "iscsi:ISCSIVolumeSource name! nfs:NFSVolumeSource "
        "persistentVolumeClaim:PersistentVolumeClaimVolumeSource "
        "photonPersistentDisk:PhotonPersistentDiskVolumeSource portworxVolume:PortworxVolumeSource "
        "projected:ProjectedVolumeSource quobyte:QuobyteVolumeSource rbd:RBDVolumeSource "
        "scaleIO:ScaleIOVolumeSource secret:SecretVolumeSource storageos:StorageOSVolumeSource "
        "vsphereVolume:VsphereVirtualDiskVolumeSource"
    ),
    "VolumeDevice": "devicePath! name!",
    "VolumeMount": "mountPath! mountPropagation name! readOnly:bool recursiveReadOnly subPath subPathExpr",
    "VolumeProjection": (
        "clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection "
        "downwardAPI:DownwardAPIProjection podCertificate:PodCertificateProjection "
        "secret:SecretProjection serviceAccountToken:ServiceAccountTokenProjection"
    ),
    "VolumeResourceRequirements": "limits:quantity{} requests:quantity{}",
    "VsphereVirtualDiskVolumeSource": "fsType storagePolicyID storagePolicyName volumePath!",
    "WeightedPodAffinityTerm": "podAffinityTerm!:PodAffinityTerm weight!:int32",
    "WindowsSecurityContextOptions": "gmsaCredentialSpec gmsaCredentialSpecName hostProcess:bool runAsUserName",
}
