//go:build race

package replica

// slowdown is by how much the long tests are shortened: the race detector looks at the same code more slowly.
const slowdown = 8
