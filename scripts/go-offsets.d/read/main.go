// Prints where runtime.g of a Go program holds its fields, from the program's DWARF: "VERSION ARCH FIELD OFFSET", a line each.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"log"
	"os"
)

var wanted = map[string]bool{"goid": true, "parentGoid": true, "startpc": true}

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
	for {
		entry, err := reader.Next()
		if err != nil || entry == nil {
			log.Fatalf("%s: its DWARF describes no runtime.g (%v)", os.Args[1], err)
		}
		if entry.Tag != dwarf.TagStructType || entry.Val(dwarf.AttrName) != "runtime.g" {
			continue
		}
		found, err := data.Type(entry.Offset)
		if err != nil {
			log.Fatal(err)
		}
		for _, field := range found.(*dwarf.StructType).Field {
			if wanted[field.Name] {
				fmt.Println(os.Args[2], os.Args[3], field.Name, field.ByteOffset)
			}
		}
		return
	}
}
