package mailstore_test

import (
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test starts must have ended when it ends.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simFactor multiplies the length of the long tests; ANGARIUM_SIM sets it.
func simFactor(t testing.TB) int {
	env := os.Getenv("ANGARIUM_SIM")
	if env == "" {
		return 1
	}
	n, err := strconv.Atoi(env)
	if err != nil || n < 1 {
		t.Fatalf("ANGARIUM_SIM=%q is no factor", env)
	}
	return n
}
