//go:build !linux

package testenv

import "syscall"

// childAttr leaves attr as it is: only Linux signals a child at its parent's death.
func childAttr(attr *syscall.SysProcAttr, _ syscall.Signal) *syscall.SysProcAttr { return attr }
