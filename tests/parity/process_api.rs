// Written by `.ci/api --write`: what is stable in std, of process.
