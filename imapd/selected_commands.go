package imapd

// selectedCommands are the commands that select a mailbox, and those that need one.
func selectedCommands() []command {
	return []command{
		{"SELECT", loggedIn, updatesNone, handleSelect},
		{"EXAMINE", loggedIn, updatesNone, handleExamine},
		{"CLOSE", selectedState, updatesNone, handleClose},
		{"UNSELECT", selectedState, updatesNone, handleUnselect},
		{"EXPUNGE", selectedState, updatesAll, handleExpunge},
		{"FETCH", selectedState, updatesNoExpunge, handleFetch},
		{"STORE", selectedState, updatesNoExpunge, handleStore},
		{"SEARCH", selectedState, updatesNoExpunge, handleSearch},
		{"COPY", selectedState, updatesAll, handleCopy},
		{"MOVE", selectedState, updatesAll, handleMove},
		{"UID", selectedState, updatesAll, handleUID},
	}
}
