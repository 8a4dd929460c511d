// Compiles src/ with solc and writes one artifact a contract into the Python package.
// Usage: node build.mjs [output folder [contract ...]]. The same sources and versions give the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");

const ROOT = dirname(fileURLToPath(import.meta.url));
const [OUTPUT_GIVEN, ...ONLY] = process.argv.slice(2);
const OUTPUT = OUTPUT_GIVEN ?? join(ROOT, "..", "vpp_sim", "chain", "artifacts");
// Optimizer runs: many for cheap calls, fewer where the bytecode would come near the limit of 24 576 bytes (EIP-170).
const RUNS = {
  DirectTrades: 1000,
  EnergyMarket: 1000,
  MemberRegistry: 10000,
  SettlementCurrency: 10000,
};
const settingsOf = (runs) => ({
  evmVersion: "prague",
  optimizer: { enabled: true, runs },
  viaIR: true,
  metadata: { appendCBOR: false, bytecodeHash: "none" }, // comments must not change the bytecode
});

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const sortedObject = (entries) => Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

function soliditySources(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".sol"))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join("/"))
    .sort();
}

function selectOutput(name) {
  return [`src/${name}.sol`, { [name]: ["abi", "evm.bytecode.object"] }];
}

function compile(runs, names) {
  const read = new Map();
  const load = (path, file) => {
    const content = readFileSync(file, "utf8");
    read.set(path, sha256(content));
    return content;
  };
  const sources = Object.fromEntries(
    soliditySources(join(ROOT, "src")).map((path) => [path, { content: load(path, join(ROOT, path)) }]),
  );
  const input = {
    language: "Solidity",
    sources,
    settings: { ...settingsOf(runs), outputSelection: Object.fromEntries(names.map(selectOutput)) },
  };
  const fromPackages = (path) => {
    try {
      return { contents: load(path, require.resolve(path)) };
    } catch (error) {
      return { error: String(error) };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: fromPackages }));
  // Our own warnings are errors; those of the packages are their maintainers'.
  const problems = (output.errors ?? []).filter(
    ({ severity, sourceLocation }) => severity === "error" || (sourceLocation?.file ?? "src/").startsWith("src/"),
  );
  if (problems.length > 0) throw new Error(problems.map((problem) => problem.formattedMessage).join("\n"));
  return { contracts: output.contracts, hashes: sortedObject(read) };
}

mkdirSync(OUTPUT, { recursive: true });
for (const runs of new Set(Object.values(RUNS))) {
  const names = Object.keys(RUNS).filter((name) => RUNS[name] === runs && (ONLY.length === 0 || ONLY.includes(name)));
  if (names.length === 0) continue;
  const { contracts, hashes } = compile(runs, names);
  for (const name of names) {
    const { abi, evm } = contracts[`src/${name}.sol`][name];
    const artifact = {
      contract: name,
      compiler: `solc ${solc.version()}`,
      openzeppelin: require("@openzeppelin/contracts/package.json").version,
      settings: settingsOf(runs),
      sources_sha256: hashes,
      abi,
      bytecode: `0x${evm.bytecode.object}`,
    };
    writeFileSync(join(OUTPUT, `${name}.json`), JSON.stringify(artifact, null, 1) + "\n");
  }
}
