//go:build !linux

package main

// releaseProgram does nothing: only Linux tells what of a program is in memory.
func releaseProgram() {}
