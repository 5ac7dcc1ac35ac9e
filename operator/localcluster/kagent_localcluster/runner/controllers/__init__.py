"""The controllers that a cluster has built in: Deployment, ReplicaSet, Job, EndpointSlice; level-triggered."""
