// Package control is how an operator's tool talks to a node: HTTP with JSON over the unix socket control.sock in the data
// directory, which only its owner can open. The same handler serves a tool that opened the data directory itself, while no
// server runs.
//
// Requests and single answers are JSON objects. What takes long answers with JSON lines, each an Update: progress, items, and at
// last exactly one with Done or Error. docs/json-output.md describes what of it reaches people.
package control

// SocketName is the name of the control socket in the data directory.
const SocketName = "control.sock"

// Paths of the control API. {name} is an account's name, percent-encoded.
const (
	PathStatus   = "/v1/status"          // GET: Status
	PathAccounts = "/v1/accounts"        // GET: AccountList; POST AddAccounts: lines of Update[AccountResult]
	PathAccount  = "/v1/accounts/{name}" // GET: Account; PATCH ChangeAccount; DELETE
	PathVerify   = "/v1/verify"          // POST VerifyRequest: lines of Update[Violation], Done is VerifyResult
	PathLog      = "/v1/log"             // GET ?shard=&from=&to=&limit=&follow=: lines of Update[LogEvent]
	PathLogStat  = "/v1/log/stat"        // GET ?shard=: lines of Update[struct{}], Done is LogStat
	PathRebuild  = "/v1/rebuild"         // POST RebuildRequest: lines of Update[struct{}], Done is RebuildResult
	PathReload   = "/v1/reload"          // POST: read certificates again, as SIGHUP does
)
