/**
 * The backends that a process is killed over, by what a program can be told on its command line.
 */
import { FilePersistence } from "@effect-jwks/node"
import { RedisPersistence } from "@effect-jwks/redis"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"

/** Where snapshots go. */
export type Backend =
  | { readonly _tag: "Files"; readonly directory: string }
  /** Effect's own store on files, which writes in place. */
  | { readonly _tag: "PlainFiles"; readonly directory: string }
  | { readonly _tag: "Redis"; readonly port: number }
  | { readonly _tag: "Postgres"; readonly url: string }

/** The layer of a backend. */
export const persistenceOn = (backend: Backend): Layer.Layer<Persistence.Persistence> => {
  switch (backend._tag) {
    case "Files":
      return Layer.orDie(FilePersistence.layer({ directory: backend.directory }))
    case "PlainFiles":
      return Persistence.layerKvs.pipe(
        Layer.provide(KeyValueStore.layerFileSystem(backend.directory)),
        Layer.provide([NodeFileSystem.layer, NodePath.layer]),
        Layer.orDie,
      )
    case "Redis":
      return Layer.orDie(RedisPersistence.layer({ url: `redis://127.0.0.1:${backend.port}` }))
    case "Postgres":
      return Persistence.layerSql.pipe(Layer.provide(PgClient.layer({ url: Redacted.make(backend.url) })), Layer.orDie)
  }
}
