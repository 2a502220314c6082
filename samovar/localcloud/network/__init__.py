"""The network: a VPC network is a network namespace, a subnet a bridge in it, a balancer a rule of its nftables."""
