/**
 * nginx with a configuration of its own, in a folder of its own, on a free port.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** Where nginx is, if it is. Debian has it where only root looks. */
export const nginxBinary: string | undefined = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]
  .map((folder) => join(folder, "nginx"))
  .find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** nginx while it runs. */
export interface Nginx {
  readonly port: number
  /** Writes a file of the web root. */
  readonly write: (name: string, text: string) => void
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts nginx with these files beside its configuration, and these directives in its one server. */
export const startNginx = Effect.fnUntraced(function* (
  binary: string,
  files: Readonly<Record<string, string>>,
  directives: ReadonlyArray<string>,
): Effect.fn.Return<Nginx, never, Scope.Scope> {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-jwks-nginx-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true })),
  )
  const port = yield* freePort
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o644 })
  for (const [name, text] of Object.entries(files)) write(name, text)
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (what) => `${what}_temp_path ${join(folder, what)};`,
  )
  write(
    "nginx.conf",
    `
daemon off;
master_process off;
pid ${join(folder, "pid")};
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  ${temporary.join("\n  ")}
  types { application/jwk-set+json json; }
  server {
    listen 127.0.0.1:${port} ssl;
    root ${folder};
    ${directives.map((directive) => directive.replaceAll("$folder", folder)).join("\n    ")}
  }
}
`,
  )
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof spawn>>((resume) => {
      const child = spawn(binary, ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")], {
        stdio: ["ignore", "ignore", "pipe"],
      })
      let said = ""
      child.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString()
        // Said once it listens.
        if (said.includes("[notice]")) resume(Effect.succeed(child))
      })
      child.once("close", (code) => resume(Effect.die(new Error(`nginx ended with ${code}: ${said}`))))
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null) return resume(Effect.void)
        child.once("close", () => resume(Effect.void))
        child.kill("SIGTERM")
      }),
  )
  return { port, write }
})
