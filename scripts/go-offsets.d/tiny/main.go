// Nothing but the runtime, whose types are looked at.
package main

func main() {}
