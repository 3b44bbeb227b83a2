// The classic script: puts Web Serial over the network at navigator.serial before any other script runs.

