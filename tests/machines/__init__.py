"""A cluster of real machines on one Linux box: real kubelets, real containers, real reboots.

Rules
- Everything runs in an enclosure: PID, mount, network, UTS and IPC namespaces that `python -m tests.machines`
  makes and that die with it. Inside it each machine has the same again, of its own. Code that starts anything
  refuses outside the enclosure, so that nothing can ever reach process 1 of the box.
- A machine is an init that is process 1 of its PID namespace. `reboot` ends that init and with it every process
  of the machine; its supervisor starts it again, with a new boot id, on the disk that it left.
- Before each boot goes on, it is shown by trying that `nsenter -t 1` from the machine enters the machine.
- Nothing is downloaded inside: there is no network but that of the machines.
"""
