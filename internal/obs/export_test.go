package obs

// OpenTraceClock is OpenTrace with a clock of the test's.
var OpenTraceClock = openTrace
