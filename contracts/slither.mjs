// Runs slither over src/ with the locked compiler; exits with slither's verdict. Usage: node slither.mjs [slither]
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".sol"))
  .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)));
const input = {
  language: "Solidity",
  sources: Object.fromEntries(files.map((file) => [file, { urls: [file] }])),
  settings: {
    remappings: ["@openzeppelin/=node_modules/@openzeppelin/"],
    evmVersion: "prague",
    viaIR: false, // slither reads the syntax tree; the bytecode only has to compile
    optimizer: { enabled: true, runs: 1 },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode"], "": ["ast"] } },
  },
};
mkdirSync(join(ROOT, "cache"), { recursive: true });
writeFileSync(join(ROOT, "cache", "slither-input.json"), JSON.stringify(input));
const options = ["--compile-force-framework", "solc-json", "--solc", join(ROOT, "solc-wrap")];
const choice = ["--filter-paths", "node_modules", "--exclude-informational", "--exclude-optimization", "--exclude-low"];
const command = [join("cache", "slither-input.json"), ...options, ...choice, "--fail-medium"];
const env = { ...process.env, PATH: `${join(ROOT, "node_modules", ".bin")}:${process.env.PATH}` }; // it asks forge
const done = spawnSync(process.argv[2] ?? "slither", command, { cwd: ROOT, stdio: "inherit", env });
process.exit(done.status ?? 1);
