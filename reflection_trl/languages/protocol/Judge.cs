// The side of the tests.
namespace ReflectionTrl
{
    using System;
    using System.Collections;

    public static class Judge
    {
        static readonly Wire wire = new Wire();
        static Exception failure;

        // Runs the tests, and prints the mark when they have ended
        public static void Run(Action tests, string mark)
        {
            try { tests(); }
            catch (Exception error) when (failure != null && ReferenceEquals(error, failure))
            {
                try { wire.Send("raise"); } catch (Gone) { }
                Environment.Exit(97);
            }
            Console.Out.Flush();
            Console.WriteLine("\n" + mark);
        }

        // Calls a function of the answer, and brings its arguments up to date
        public static object Call(string type, string name, object[] arguments)
        {
            try
            {
                wire.Send("call", type, name, arguments);
                var reply = wire.Receive();
                if ((string)reply[0] == "error") throw failure = Error((string)reply[1], (string)reply[2]);
                var changed = (object[])reply[2];
                for (var place = 0; place < arguments.Length; place++)
                    if (!Update(arguments[place], changed[place])) arguments[place] = changed[place];
                return reply[1];
            }
            catch (Exception error) when (!ReferenceEquals(error, failure))
            {
                Environment.Exit(97);
                throw;
            }
        }

        static Exception Error(string name, string message)
        {
            var type = Type.GetType(name) ?? typeof(Uri).Assembly.GetType(name) ?? typeof(System.Linq.Enumerable).Assembly.GetType(name);
            if (type == null || !typeof(Exception).IsAssignableFrom(type)) return new Exception(message);
            try { return (Exception)Activator.CreateInstance(type, message); }
            catch (Exception) { return new Exception(message); }
        }

        // What the call has done to a container, done to the one that the tests hold
        static bool Update(object old, object changed)
        {
            if (old == null || changed == null || old is string || old.GetType() != changed.GetType()) return false;
            if (old is Array)
            {
                if (((Array)old).Length != ((Array)changed).Length) return false;
                Array.Copy((Array)changed, (Array)old, ((Array)old).Length);
                return true;
            }
            if (old is IDictionary)
            {
                ((IDictionary)old).Clear();
                foreach (DictionaryEntry entry in (IDictionary)changed) ((IDictionary)old).Add(entry.Key, entry.Value);
                return true;
            }
            if (!(old is IList)) return false;
            ((IList)old).Clear();
            foreach (var item in (IList)changed) ((IList)old).Add(item);
            return true;
        }
    }
}
