//go:build !race

package replica

// slowdown is by how much the long tests are shortened.
const slowdown = 1
