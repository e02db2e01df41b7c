//go:build !linux

package main

import "syscall"

// diesWithParent does nothing: only Linux signals a child at its parent's death.
func diesWithParent() *syscall.SysProcAttr { return nil }
