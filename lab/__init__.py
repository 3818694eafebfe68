# SPDX-License-Identifier: Apache-2.0
"""Real hosts on one machine: what Hakuna does to a cluster, done to real namespaces, sshd, docker and Ray."""
