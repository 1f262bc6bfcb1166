module read

go 1.18
