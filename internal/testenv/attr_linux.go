package testenv

import "syscall"

// childAttr makes the kernel send sig to the child when its parent dies.
func childAttr(attr *syscall.SysProcAttr, sig syscall.Signal) *syscall.SysProcAttr {
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = sig
	return attr
}
