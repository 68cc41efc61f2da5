// Loads test files in the order of its arguments; node --test would sort them by name.
for (const file of process.argv.slice(2)) await import(file)
