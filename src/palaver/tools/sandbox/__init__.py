"""What keeps programs in their place: namespaces, Landlock, seccomp, limits, one end for all."""
