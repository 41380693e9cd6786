import { runSeed } from "@rspp/simulation/Run"
for (const s of process.argv.slice(2).map(Number)) { const r = runSeed(s); console.log(s, r.violations.map((v)=>`${v.rule} ${v.message.slice(0,300)} @${v.record}`)) }
