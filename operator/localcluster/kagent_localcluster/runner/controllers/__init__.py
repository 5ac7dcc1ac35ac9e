"""The controllers that a cluster has built in: Deployment, ReplicaSet, Job. Level-triggered, one work queue each."""
