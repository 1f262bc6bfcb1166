// Prints where runtime.g and runtime.m of a Go program hold their fields, from the program's DWARF: "VERSION ARCH FIELD OFFSET", a line each.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"log"
	"os"
)

var wanted = map[string]map[string]bool{
	"runtime.g": {"goid": true, "parentGoid": true, "startpc": true, "m": true},
	"runtime.m": {"curg": true},
}

func main() {
	file, err := elf.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	data, err := file.DWARF()
	if err != nil {
		log.Fatal(err)
	}
	reader := data.Reader()
	for seen := 0; seen < len(wanted); {
		entry, err := reader.Next()
		if err != nil || entry == nil {
			log.Fatalf("%s: its DWARF does not describe both runtime.g and runtime.m (%v)", os.Args[1], err)
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if entry.Tag != dwarf.TagStructType || wanted[name] == nil {
			continue
		}
		seen++
		found, err := data.Type(entry.Offset)
		if err != nil {
			log.Fatal(err)
		}
		for _, field := range found.(*dwarf.StructType).Field {
			if wanted[name][field.Name] {
				fmt.Println(os.Args[2], os.Args[3], field.Name, field.ByteOffset)
			}
		}
	}
}
